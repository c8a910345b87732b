using Dalle.Contracts.Training;

namespace Dalle.Contracts.Tests.Training;

public sealed class JobSiloTests
{
    private const string Silo = "127.0.0.1:30000@123456789";

    [Fact]
    public void Parse_ItsOwnText_GivesTheSameKey() => Assert.Equal(new JobSilo("job-1", Silo), JobSilo.Parse(new JobSilo("job-1", Silo).ToString()));

    [Theory]
    [InlineData("")]
    [InlineData("job")]
    [InlineData("job/")]
    [InlineData("job/a/b")]
    [InlineData("/a")]
    [InlineData("../a")]
    public void Parse_AnythingElse_SaysWhatWasExpected(string key) => Assert.Contains("job/silo", Assert.Throws<FormatException>(() => JobSilo.Parse(key)).Message, StringComparison.Ordinal);

    [Fact]
    public void New_JobThatIsNoName_IsRefused() => Assert.Throws<InvalidRequestException>(() => new JobSilo("a/b", Silo));
}
