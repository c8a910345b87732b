using Dalle.Contracts.Generation;

namespace Dalle.Contracts.Tests.Generation;

public sealed class GenerationRequestTests
{
    private static readonly GenerationRequest Good = new() { Model = "m", Prompt = "a red circle" };

    public static TheoryData<string, GenerationRequest> Bad => new()
    {
        { "Model", Good with { Model = "../m" } },
        { "Prompt", Good with { Prompt = " " } },
        { "Prompt", Good with { Prompt = new string('a', 4001) } },
        { "Candidates", Good with { Candidates = 0 } },
        { "Candidates", Good with { Candidates = 65 } },
        { "Temperature", Good with { Temperature = 0 } },
        { "Temperature", Good with { Temperature = double.NaN } },
        { "TopK", Good with { TopK = 0 } },
        { "TopP", Good with { TopP = 1.1 } },
        { "Guidance", Good with { Guidance = -1 } },
        { "PartialPictures", Good with { PartialPictures = 17 } },
    };

    [Theory]
    [MemberData(nameof(Bad), DisableDiscoveryEnumeration = true)]
    public void Validate_NamesTheFieldAtFault(string field, GenerationRequest request) =>
        Assert.Equal(field, Assert.Throws<InvalidRequestException>(request.Validate).Parameter);

    [Fact]
    public void Validate_LetsAGoodRequestThrough() => (Good with { Candidates = 64, Temperature = 0.5, TopK = 1, TopP = 1, Guidance = 0, PartialPictures = 16 }).Validate();

    [Theory]
    [InlineData(0, 8, new int[0])]
    [InlineData(1, 8, new[] { 3 })]
    [InlineData(3, 8, new[] { 1, 3, 5 })]
    [InlineData(3, 4, new[] { 0, 1, 2 })]
    [InlineData(64, 4, new[] { 0, 1, 2 })]
    [InlineData(3, 1, new int[0])]
    public void PartialRows_AreEvenlySpaced_AndNeverTheLast(int partials, int gridSize, int[] rows) =>
        Assert.Equal(rows, (Good with { PartialPictures = partials }).PartialRows(gridSize));
}
