"""The discrete VAE of configuration T at the size of `dvae-train` in plain PyTorch: bf16 autocast where the processor has its instructions, channels last, AdamW. Prints ms of the fastest update."""
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

SIZE, CODES, WIDTHS, CODE_WIDTH, BATCH, MARGIN, FLOOR = 64, 1024, [72, 120, 232], 64, 32, 0.1, -2
GAIN = 1 / len(WIDTHS) ** 2
HAS_BF16 = "avx512_bf16" in open("/proc/cpuinfo").read()


class Resblock(nn.Module):
    def __init__(self, source, target, kernels):
        super().__init__()
        inner = target // 4
        self.identity = nn.Conv2d(source, target, 1) if source != target else nn.Identity()
        widths = [source, inner, inner, inner, target]
        self.convolutions = nn.ModuleList([nn.Conv2d(a, b, k, padding=k // 2) for a, b, k in zip(widths, widths[1:], kernels)])

    def forward(self, x, upsample=False):
        identity, residual = self.identity(x), self.convolutions[0](F.relu(x))
        if upsample:  # the first convolutions are 1x1: they commute with it
            identity, residual = F.interpolate(identity, scale_factor=2), F.interpolate(residual, scale_factor=2)
        for convolution in self.convolutions[1:]:
            residual = convolution(F.relu(residual))
        return identity.float() + GAIN * residual


class DiscreteVae(nn.Module):
    def __init__(self):
        super().__init__()
        ends = [WIDTHS[0]] + WIDTHS
        self.input = nn.Conv2d(3, WIDTHS[0], 7, padding=3)
        self.encoder = nn.ModuleList([Resblock(a, b, [3, 3, 3, 1]) for a, b in zip(ends, WIDTHS)])
        self.logits = nn.Linear(WIDTHS[-1], CODES)
        self.codebook = nn.Linear(CODES, CODE_WIDTH)
        ends = [CODE_WIDTH] + WIDTHS[::-1]
        self.decoder = nn.ModuleList([Resblock(a, b, [1, 3, 3, 3]) for a, b in zip(ends, ends[1:])])
        self.output = nn.Conv2d(WIDTHS[0], 6, 1)

    def forward(self, mapped, noise, tau):
        with torch.autocast("cpu", torch.bfloat16, enabled=HAS_BF16):
            x = self.input(mapped)
            for group, block in enumerate(self.encoder):
                x = block(F.max_pool2d(x, 2) if group > 0 else x)
        rows = F.relu(x).float().permute(0, 2, 3, 1).flatten(0, 2)
        logits = self.logits(rows)
        codes = ((logits + noise) / tau).softmax(1)
        grid = SIZE >> (len(WIDTHS) - 1)
        x = self.codebook(codes).view(-1, grid, grid, CODE_WIDTH).permute(0, 3, 1, 2)
        with torch.autocast("cpu", torch.bfloat16, enabled=HAS_BF16):
            for group, block in enumerate(self.decoder):
                x = block(x, upsample=group > 0)
            maps = self.output(F.relu(x)).float()
        location, scale = maps[:, :3], maps[:, 3:].clamp_min(FLOOR)
        likelihood = ((mapped.logit() - location).abs() * (-scale).exp() + scale).mean()
        usage = logits.softmax(1).mean(0)
        return likelihood - 0.05 * torch.special.entr(usage).sum()


def main():
    torch.manual_seed(1)
    model = DiscreteVae().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, betas=(0.9, 0.999), weight_decay=1e-4, foreach=True)
    pixels = torch.rand(BATCH, 3, SIZE, SIZE)
    times = []
    for _ in range(16):
        start = time.perf_counter()
        mapped = ((1 - 2 * MARGIN) * pixels + MARGIN).contiguous(memory_format=torch.channels_last)
        noise = -torch.empty(BATCH * (SIZE >> 2) ** 2, CODES).exponential_().log()
        loss = model(mapped, noise, tau=1)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        times.append(time.perf_counter() - start)
    print(f"{min(times[4:]) * 1e3:.1f}")


main()
