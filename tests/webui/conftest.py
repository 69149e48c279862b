"""What these tests share lies beside them; `hosts.py`'s fixtures start a real WebUI."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
