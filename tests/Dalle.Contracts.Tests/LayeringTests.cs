using Dalle.Contracts.Training;

namespace Dalle.Contracts.Tests;

public sealed class LayeringTests
{
    [Fact]
    public void Contracts_ReferenceNoOtherProjectAndNoTensors() => Assert.DoesNotContain(
        typeof(ITrainingJobGrain).Assembly.GetReferencedAssemblies(),
        name => name.Name is "TorchSharp" || name.Name!.StartsWith("Dalle.", StringComparison.Ordinal));
}
