using Dalle.Contracts.Training;

namespace Dalle.Contracts.Tests.Training;

public sealed class WorkerIdTests
{
    [Fact]
    public void Parse_ItsOwnText_GivesTheSameId() => Assert.Equal(new WorkerId("job-1", 2, 3), WorkerId.Parse(new WorkerId("job-1", 2, 3).ToString()));

    [Theory]
    [InlineData("")]
    [InlineData("job")]
    [InlineData("job/0")]
    [InlineData("job/0/0/0")]
    [InlineData("job/-1/0")]
    [InlineData("job/0/x")]
    [InlineData("/0/0")]
    [InlineData("../0/0")]
    public void Parse_AnythingElse_SaysWhatWasExpected(string key) => Assert.Contains("job/replica/ordinal", Assert.Throws<FormatException>(() => WorkerId.Parse(key)).Message, StringComparison.Ordinal);

    [Fact]
    public void New_JobThatIsNoName_IsRefused() => Assert.Throws<InvalidRequestException>(() => new WorkerId("a/b", 0, 0));
}
