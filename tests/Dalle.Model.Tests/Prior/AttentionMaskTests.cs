using Dalle.Model.Prior;

namespace Dalle.Model.Tests.Prior;

public sealed class AttentionMaskTests
{
    public static TheoryData<AttentionKind, int, int> Grids()
    {
        var grids = new TheoryData<AttentionKind, int, int>();
        foreach (var kind in Enum.GetValues<AttentionKind>())
        {
            foreach (var (grid, kernel) in new[] { (1, 3), (2, 11), (4, 3), (5, 11), (8, 11), (16, 11), (16, 5) })
            {
                grids.Add(kind, grid, kernel);
            }
        }

        return grids;
    }

    [Theory]
    [MemberData(nameof(Grids))]
    public void Mask_AnyGrid_EqualsThePaintedPicture(AttentionKind kind, int grid, int kernel)
    {
        const int Text = 3;
        var config = new TransformerConfig { TextLength = Text, GridSize = grid, ConvolutionKernel = kernel };
        var length = Text + (grid * grid);
        using var mask = AttentionMask.Create(config, kind);
        Assert.Equal([length, length], mask.shape);
        var actual = mask.data<bool>().ToArray();
        for (var query = 0; query < length; query++)
        {
            var painted = Paint(kind, query, Text, grid, kernel);
            Assert.Equal(painted, actual[(query * length)..((query + 1) * length)]);
        }
    }

    // The figure of the paper for a 4 by 4 grid, drawn by hand: what the token at row 2, column 1 attends to.
    [Theory]
    [InlineData(AttentionKind.Row, ".... .xxx xx.. ....")]
    [InlineData(AttentionKind.Column, ".x.. .x.. .x.. ....")]
    [InlineData(AttentionKind.Convolution, ".... xxx. xx.. ....")]
    public void Mask_FourByFour_LooksAsInTheFigure(AttentionKind kind, string picture)
    {
        var config = new TransformerConfig { TextLength = 6, GridSize = 4, ConvolutionKernel = 3 };
        var expected = picture.Replace(" ", "", StringComparison.Ordinal).Select(c => c == 'x');
        Assert.Equal(expected, Enumerable.Range(6, 16).Select(key => AttentionMask.Allows(config, kind, query: 6 + 9, key)));
    }

    // At column 0 the window's left arm continues at the end of the row above, as row attention does.
    [Fact]
    public void Convolution_AtTheLeftEdge_WrapsAroundToTheRowAbove()
    {
        var config = new TransformerConfig { TextLength = 1, GridSize = 4, ConvolutionKernel = 3 };
        var expected = "...x xx.x x... ....".Replace(" ", "", StringComparison.Ordinal).Select(c => c == 'x');
        Assert.Equal(expected, Enumerable.Range(1, 16).Select(key => AttentionMask.Allows(config, AttentionKind.Convolution, query: 1 + 8, key)));
    }

    [Fact]
    public void Layers_OfAnyNumber_FollowThePapersOrder()
    {
        Assert.Equal("C", Order(1));
        Assert.Equal("rC", Order(2));
        Assert.Equal("rcrC", Order(4));
        Assert.Equal("rcrrrcrC", Order(8));
        var paper = Order(64);
        for (var layer = 1; layer <= 63; layer++)
        {
            Assert.Equal((layer - 2) % 4 == 0 ? 'c' : 'r', paper[layer - 1]);
        }

        Assert.Equal('C', paper[63]);
    }

    private static string Order(int layers)
    {
        var config = new TransformerConfig { Layers = layers };
        return string.Concat(Enumerable.Range(0, layers).Select(layer => "rcC"[(int)config.Attention(layer)]));
    }

    // Walks from the query and marks what it reaches: the slow, obvious definition.
    private static bool[] Paint(AttentionKind kind, int query, int text, int grid, int kernel)
    {
        var seen = new bool[text + (grid * grid)];
        for (var key = 0; key < text && key <= query; key++)
        {
            seen[key] = true;
        }

        if (query < text)
        {
            return seen;
        }

        var (row, column) = ((query - text) / grid, (query - text) % grid);
        void Mark(int r, int c)
        {
            for (; c < 0; c += grid)
            {
                r--;
            }

            for (; c >= grid; c -= grid)
            {
                r++;
            }

            if (r >= 0 && (r < row || (r == row && c <= column)))
            {
                seen[text + (r * grid) + c] = true;
            }
        }

        switch (kind)
        {
            case AttentionKind.Row:
                for (var c = column; c < grid; c++)
                {
                    Mark(row - 1, c);
                }

                for (var c = 0; c <= column; c++)
                {
                    Mark(row, c);
                }

                break;
            case AttentionKind.Column:
                for (var r = row; r >= 0; r--)
                {
                    Mark(r, column);
                }

                break;
            case AttentionKind.Convolution:
                var reach = grid < kernel ? grid / 2 : kernel / 2;
                for (var r = row - reach; r <= row; r++)
                {
                    for (var c = column - reach; c <= column + reach; c++)
                    {
                        Mark(r, c);
                    }
                }

                break;
        }

        return seen;
    }
}
