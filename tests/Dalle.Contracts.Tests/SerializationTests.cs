using System.Text.Json;
using Dalle.Contracts.Generation;
using Dalle.Contracts.Training;
using Microsoft.Extensions.DependencyInjection;
using Orleans;
using Orleans.Serialization;

namespace Dalle.Contracts.Tests;

public sealed class SerializationTests : IDisposable
{
    private readonly ServiceProvider _services = new ServiceCollection().AddSerializer().BuildServiceProvider();

    public static TheoryData<string> Messages => [.. ContractSamples.Messages.Select(m => m.GetType().Name)];

    public static TheoryData<string> Errors => [.. ContractSamples.Errors.Select(m => m.GetType().Name)];

    public static TheoryData<string> TrainingEvents => [.. ContractSamples.TrainingEvents.Select(m => m.GetType().Name)];

    public static TheoryData<string> GenerationEvents => [.. ContractSamples.GenerationEvents.Select(m => m.GetType().Name)];

    public void Dispose() => _services.Dispose();

    [Fact]
    public void Samples_CoverEveryContractType()
    {
        var declared = typeof(TrainingSpec).Assembly.GetTypes()
            .Where(t => t is { IsAbstract: false, IsEnum: false } && t.IsDefined(typeof(GenerateSerializerAttribute), inherit: false)).Select(t => t.Name);
        Assert.Equal(declared.Order(), ContractSamples.Messages.Concat(ContractSamples.Errors).Select(m => m.GetType().Name).Order());
    }

    [Theory]
    [MemberData(nameof(Messages))]
    public void Message_ThroughOrleans_KeepsEveryField(string type)
    {
        var message = ContractSamples.Messages.Single(m => m.GetType().Name == type);
        var serializer = _services.GetRequiredService<Serializer>();
        var back = serializer.Deserialize<object>(serializer.SerializeToArray<object>(message));
        Assert.IsType(message.GetType(), back);
        Assert.Equal(Json(message), Json(back));
    }

    [Theory]
    [MemberData(nameof(Errors))]
    public void Error_ThroughOrleans_KeepsMessageAndFields(string type)
    {
        var error = ContractSamples.Errors.Single(m => m.GetType().Name == type);
        var serializer = _services.GetRequiredService<Serializer>();
        var back = Assert.IsAssignableFrom<Exception>(serializer.Deserialize<object>(serializer.SerializeToArray<object>(error)));
        Assert.IsType(error.GetType(), back);
        Assert.Equal(error.Message, back.Message);
        Assert.All(
            error.GetType().GetProperties().Where(p => p.DeclaringType == error.GetType()),
            property => Assert.Equal(property.GetValue(error), property.GetValue(back)));
    }

    [Theory]
    [MemberData(nameof(TrainingEvents))]
    public void TrainingEvent_ThroughJson_KeepsItsTypeAndEveryField(string type)
    {
        var sent = ContractSamples.TrainingEvents.Single(m => m.GetType().Name == type);
        var back = JsonSerializer.Deserialize<TrainingEvent>(JsonSerializer.Serialize(sent));
        Assert.IsType(sent.GetType(), back);
        Assert.Equal(Json(sent), Json(back));
    }

    [Theory]
    [MemberData(nameof(GenerationEvents))]
    public void GenerationEvent_ThroughJson_KeepsItsTypeAndEveryField(string type)
    {
        var sent = ContractSamples.GenerationEvents.Single(m => m.GetType().Name == type);
        var back = JsonSerializer.Deserialize<GenerationEvent>(JsonSerializer.Serialize(sent));
        Assert.IsType(sent.GetType(), back);
        Assert.Equal(Json(sent), Json(back));
    }

    private static string Json(object? value) => value is ProgressReport progress
        ? JsonSerializer.Serialize(progress.Event, progress.Event.GetType())
        : JsonSerializer.Serialize(value, value!.GetType());
}
