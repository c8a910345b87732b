"""The prior of configuration T in plain PyTorch: bf16 autocast where the processor has its instructions, the paper's masks, fused qkv, AdamW. Prints ms of the fastest update.

Usage: prior_train.py TEXT_VOCABULARY IMAGE_VOCABULARY
"""
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

LAYERS, WIDTH, HEADS, TEXT, GRID, BATCH, REACH = 8, 256, 8, 64, 16, 8, 5
IMAGE = GRID * GRID
LENGTH = TEXT + IMAGE
HAS_BF16 = "avx512_bf16" in open("/proc/cpuinfo").read()


def mask(kind):
    """0 where a query attends to a key, else -inf: [S, S]."""
    position = torch.arange(LENGTH)
    distance = position[:, None] - position[None, :]
    if kind == "row":
        near = distance <= GRID
    elif kind == "column":
        near = distance % GRID == 0
    else:
        near = torch.zeros_like(distance, dtype=torch.bool)
        for up in range(REACH + 1):
            near |= (distance - up * GRID).abs() <= REACH
    allowed = (distance >= 0) & (near | (position[None, :] < TEXT))
    return torch.zeros(LENGTH, LENGTH).masked_fill(~allowed, float("-inf"))


class Block(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.output = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)
        self.register_buffer("mask", mask(kind).bfloat16())

    def forward(self, x):
        q, k, v = self.qkv(self.norm1(x)).view(BATCH, LENGTH, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        scores = (q * (WIDTH // HEADS) ** -0.5) @ k.transpose(-2, -1)
        attended = (scores + self.mask).softmax(-1).to(v.dtype) @ v
        x = x + self.output(attended.transpose(1, 2).reshape(BATCH, LENGTH, WIDTH))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Prior(nn.Module):
    def __init__(self, text_vocabulary, image_vocabulary):
        super().__init__()
        self.text, self.image = nn.Embedding(text_vocabulary, WIDTH), nn.Embedding(image_vocabulary, WIDTH)
        self.position = nn.Parameter(0.02 * torch.randn(LENGTH, WIDTH))
        order = ["row", "column", "row", "row"]
        kinds = [order[i % 4] for i in range(LAYERS - 1)] + ["convolution"]
        self.blocks = nn.Sequential(*[Block(kind) for kind in kinds])
        self.norm = nn.LayerNorm(WIDTH)
        self.to_text, self.to_image = nn.Linear(WIDTH, text_vocabulary, bias=False), nn.Linear(WIDTH, image_vocabulary, bias=False)

    def forward(self, text, image):
        x = torch.cat([self.text(text), self.image(image)], 1) + self.position
        x = self.norm(self.blocks(x))
        text_logits = self.to_text(x[:, : TEXT - 1]).flatten(0, 1)
        image_logits = self.to_image(x[:, TEXT - 1 : -1]).flatten(0, 1)
        return F.cross_entropy(text_logits, text[:, 1:].flatten()) / 8 + F.cross_entropy(image_logits, image.flatten()) * 7 / 8


def main():
    text_vocabulary, image_vocabulary = int(sys.argv[1]), int(sys.argv[2])
    torch.manual_seed(1)
    model = Prior(text_vocabulary, image_vocabulary)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4.5e-4, betas=(0.9, 0.96), weight_decay=4.5e-2, foreach=True)
    text, image = torch.randint(text_vocabulary, (BATCH, TEXT)), torch.randint(image_vocabulary, (BATCH, IMAGE))
    times = []
    for _ in range(16):
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=HAS_BF16):
            loss = model(text, image)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 4)
        optimizer.step()
        times.append(time.perf_counter() - start)
    print(f"{min(times[4:]) * 1e3:.1f}")


main()
