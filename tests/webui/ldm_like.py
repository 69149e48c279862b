"""A U-Net built and named as ldm's, small enough to read: what hosts' own modules look like."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from refdiff_core.demo.architectures import DENOISER_CONFIG


class CrossAttention(nn.Module):
    def __init__(self, width: int, context: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_k = nn.Linear(context, width, bias=False)
        self.to_v = nn.Linear(context, width, bias=False)
        self.to_out = nn.Sequential(nn.Linear(width, width))

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        parts = [self.to_q(x), self.to_k(context), self.to_v(context)]
        q, k, v = (each.unflatten(-1, (self.heads, -1)).transpose(1, 2) for each in parts)
        return self.to_out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class GEGLU(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Linear(width, width * 8)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.proj(x).chunk(2, -1)
        return value * F.gelu(gate)


class FeedForward(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.net = nn.Sequential(GEGLU(width), nn.Identity(), nn.Linear(width * 4, width))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class BasicTransformerBlock(nn.Module):
    def __init__(self, width: int, context: int, heads: int) -> None:
        super().__init__()
        self.attn1 = CrossAttention(width, width, heads)
        self.attn2 = CrossAttention(width, context, heads)
        self.ff = FeedForward(width)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        y = self.norm1(x)
        x = x + self.attn1(y, y)
        x = x + self.attn2(self.norm2(x), context)
        return x + self.ff(self.norm3(x))


class SpatialTransformer(nn.Module):
    def __init__(self, width: int, context: int, heads: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(32, width, eps=1e-6)
        self.proj_in = nn.Conv2d(width, width, 1)
        self.transformer_blocks = nn.ModuleList([BasicTransformerBlock(width, context, heads)])
        self.proj_out = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        y = self.proj_in(self.norm(x))
        flat = y.flatten(2).transpose(1, 2)
        for block in self.transformer_blocks:
            flat = block(flat, context)
        return x + self.proj_out(flat.transpose(1, 2).reshape(y.shape))


class ResBlock(nn.Module):
    def __init__(self, width: int, wide: int, time: int) -> None:
        super().__init__()
        norms = nn.GroupNorm(32, width), nn.GroupNorm(32, wide)
        convs = nn.Conv2d(width, wide, 3, padding=1), nn.Conv2d(wide, wide, 3, padding=1)
        self.in_layers = nn.Sequential(norms[0], nn.SiLU(), convs[0])
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(time, wide))
        self.out_layers = nn.Sequential(norms[1], nn.SiLU(), nn.Identity(), convs[1])
        self.skip_connection = nn.Identity() if width == wide else nn.Conv2d(width, wide, 1)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        y = self.in_layers(x) + self.emb_layers(emb)[..., None, None]
        return self.skip_connection(x) + self.out_layers(y)


class Downsample(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.op = nn.Conv2d(width, width, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.op(x)


class Upsample(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2, mode="nearest"))


class Block(nn.Sequential):
    def forward(self, x: Tensor, emb: Tensor, context: Tensor) -> Tensor:
        for part in self:
            if isinstance(part, ResBlock):
                x = part(x, emb)
            else:
                x = part(x, context) if isinstance(part, SpatialTransformer) else part(x)
        return x


class UNetModel(nn.Module):
    """At the demo's size: one residual block a level, attention from the second on."""

    def __init__(self, channels: int = 4) -> None:
        super().__init__()
        self.in_channels = channels
        widths = DENOISER_CONFIG["block_out_channels"]
        context, heads = DENOISER_CONFIG["cross_attention_dim"], 4
        time = widths[0] * 4
        self.time_embed = nn.Sequential(
            nn.Linear(widths[0], time), nn.SiLU(), nn.Linear(time, time)
        )

        def level(index: int, width: int) -> list[nn.Module]:
            block = ResBlock(width, widths[index], time)
            return [block, *([SpatialTransformer(widths[index], context, heads)] if index else [])]

        down, kept = [Block(nn.Conv2d(channels, widths[0], 3, padding=1))], [widths[0]]
        for index, width in enumerate(widths):
            down.append(Block(*level(index, kept[-1])))
            kept.append(width)
            if index < len(widths) - 1:
                down.append(Block(Downsample(width)))
                kept.append(width)
        wide = widths[-1]
        middle = ResBlock(wide, wide, time), ResBlock(wide, wide, time)
        up, now = [], wide
        for index in reversed(range(len(widths))):
            for at in range(2):
                parts = level(index, now + kept.pop())
                now = widths[index]
                up.append(Block(*parts, *([Upsample(now)] if at and index else [])))
        self.input_blocks = nn.ModuleList(down)
        self.middle_block = Block(middle[0], SpatialTransformer(wide, context, heads), middle[1])
        self.output_blocks = nn.ModuleList(up)
        self.out = nn.Sequential(
            nn.GroupNorm(32, widths[0]), nn.SiLU(), nn.Conv2d(widths[0], 4, 3, padding=1)
        )

    def forward(self, x: Tensor, timesteps: Tensor, context: Tensor, **_options: object) -> Tensor:
        emb, kept = self.time_embed(timestep_embedding(timesteps, 32).to(x.dtype)), []
        for block in self.input_blocks:
            x = block(x, emb, context)
            kept.append(x)
        x = self.middle_block(x, emb, context)
        for block in self.output_blocks:
            x = block(torch.cat([x, kept.pop()], 1), emb, context)
        return self.out(x)


def timestep_embedding(timesteps: Tensor, width: int) -> Tensor:
    rates = torch.exp(-math.log(10000) * torch.arange(width // 2) / (width // 2))
    angles = timesteps[:, None].float() * rates
    return torch.cat([angles.cos(), angles.sin()], -1)


def demo_unet(weights: dict[str, Tensor], channels: int = 4) -> UNetModel:
    """With the bundled weights; channels beyond 4 are read with weight zero."""
    prefix = "model.diffusion_model."
    own = {k.removeprefix(prefix): v.float() for k, v in weights.items() if k.startswith(prefix)}
    first = own["input_blocks.0.0.weight"]
    own["input_blocks.0.0.weight"] = F.pad(first, (0, 0, 0, 0, 0, channels - first.shape[1]))
    unet = UNetModel(channels)
    unet.load_state_dict(own, strict=True)
    return unet.eval()
