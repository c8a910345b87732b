using Dalle.Contracts.Keys;

namespace Dalle.Contracts.Tests.Keys;

public sealed class ApiKeySpecTests
{
    private static readonly ApiKeySpec Spec = new() { Name = "me", Roles = [ApiRole.Generate] };

    [Fact]
    public void Validate_TakesWhatIsInOrder()
    {
        Spec.Validate();
        (Spec with { Roles = [ApiRole.Generate, ApiRole.Train, ApiRole.Admin], RequestsPerMinute = 1, ConcurrentRequests = ApiKeySpec.MostConcurrentRequests }).Validate();
    }

    [Fact]
    public void Validate_NamesTheFieldThatIsNot()
    {
        Assert.Equal(nameof(Spec.Name), Refused(Spec with { Name = "my key" }).Parameter);
        Assert.Equal("Roles: expected one or more of generate, train, admin, each once, got none.", Refused(Spec with { Roles = [] }).Message);
        Assert.Equal("Roles: expected one or more of generate, train, admin, each once, got train, train.", Refused(Spec with { Roles = [ApiRole.Train, ApiRole.Train] }).Message);
        Assert.Equal("Roles: expected one or more of generate, train, admin, each once, got 7.", Refused(Spec with { Roles = [(ApiRole)7] }).Message);
        Assert.Equal("RequestsPerMinute: expected 1 to 1000000, got 0.", Refused(Spec with { RequestsPerMinute = 0 }).Message);
        Assert.Equal("ConcurrentRequests: expected 1 to 100000, got 100001.", Refused(Spec with { ConcurrentRequests = 100_001 }).Message);
    }

    private static InvalidRequestException Refused(ApiKeySpec spec) => Assert.Throws<InvalidRequestException>(spec.Validate);
}
