"""A plain GPT of the prior's size in PyTorch: d 256, 8 layers, 8 heads, 320 positions, vocabulary 8192, batch 8, bf16 autocast where the processor has its instructions, causal attention. Prints ms of the fastest update."""
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

LAYERS, WIDTH, HEADS, LENGTH, VOCABULARY, BATCH = 8, 256, 8, 320, 8192, 8
HAS_BF16 = "avx512_bf16" in open("/proc/cpuinfo").read()


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.output = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)
        causal = torch.full((LENGTH, LENGTH), float("-inf")).triu(1)
        self.register_buffer("mask", causal.bfloat16())

    def forward(self, x):
        q, k, v = self.qkv(self.norm1(x)).view(BATCH, LENGTH, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        scores = (q * (WIDTH // HEADS) ** -0.5) @ k.transpose(-2, -1)
        attended = (scores + self.mask).softmax(-1).to(v.dtype) @ v
        x = x + self.output(attended.transpose(1, 2).reshape(BATCH, LENGTH, WIDTH))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Gpt(nn.Module):
    def __init__(self):
        super().__init__()
        self.token, self.position = nn.Embedding(VOCABULARY, WIDTH), nn.Parameter(0.02 * torch.randn(LENGTH, WIDTH))
        self.blocks = nn.Sequential(*[Block() for _ in range(LAYERS)])
        self.norm, self.logits = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, VOCABULARY, bias=False)

    def forward(self, tokens, targets):
        logits = self.logits(self.norm(self.blocks(self.token(tokens) + self.position)))
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def main():
    torch.manual_seed(1)
    model = Gpt()
    optimizer = torch.optim.AdamW(model.parameters(), lr=4.5e-4, betas=(0.9, 0.96), weight_decay=4.5e-2, foreach=True)
    tokens, targets = torch.randint(VOCABULARY, (BATCH, LENGTH)), torch.randint(VOCABULARY, (BATCH, LENGTH))
    times = []
    for _ in range(16):
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=HAS_BF16):
            loss = model(tokens, targets)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 4)
        optimizer.step()
        times.append(time.perf_counter() - start)
    print(f"{min(times[4:]) * 1e3:.1f}")


main()
