namespace Dalle.Contracts.Tests;

public sealed class NamesTests
{
    [Theory]
    [InlineData("a")]
    [InlineData("My-model_1.2")]
    [InlineData("0123456789012345678901234567890123456789012345678901234567890123")]
    public void Check_PlainName_IsLetThrough(string name) => Assert.Equal(name, Names.Check(name, "model"));

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData(".hidden")]
    [InlineData("..")]
    [InlineData("a/b")]
    [InlineData("a b")]
    [InlineData("\u00e9")]
    [InlineData("01234567890123456789012345678901234567890123456789012345678901234")]
    public void Check_AnythingElse_IsRefusedByName(string? name) =>
        Assert.Equal("model", Assert.Throws<InvalidRequestException>(() => Names.Check(name, "model")).Parameter);
}
