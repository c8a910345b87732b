using Dalle.Cli.Hosting;
using Dalle.Contracts;
using Microsoft.Extensions.Options;

namespace Dalle.Cli.Tests.Hosting;

public sealed class InvocationTests
{
    [Fact]
    public void Reason_OfAnExpectedError_IsItsMessageOnOneLine() =>
        Assert.Equal("No such model: 'x'. Try 'dalle models list'.", Invocation.Reason(new NotFoundException("No such model: 'x'.\n  Try 'dalle models list'.")));

    [Fact]
    public void Reason_OfABadSetting_IsItsMessage() => Assert.Equal(
        "Dalle:HttpPort: expected 0 to 65535.",
        Invocation.Reason(new OptionsValidationException("SiloOptions", typeof(object), ["Dalle:HttpPort: expected 0 to 65535."])));

    [Fact]
    public void Reason_OfOverload_SaysWhenToTryAgain() =>
        Assert.Equal("The queue is full. Try again in 3 s.", Invocation.Reason(new OverloadedException("The queue is full.", TimeSpan.FromSeconds(3))));

    [Fact]
    public void Reason_OfASurprise_NamesItsType() =>
        Assert.Equal("unexpected InvalidOperationException: odd (--verbose shows where.)", Invocation.Reason(new AggregateException(new InvalidOperationException("odd"))));
}
