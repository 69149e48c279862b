"""Measuring the method: the field's metrics, and the demo benchmark that we steer by."""
