using System.Reflection;
using System.Text.Json;
using System.Text.Json.Serialization;
using Dalle.Contracts.Training;
using Dalle.Silo.Http.Streaming;

namespace Dalle.Silo.Http.Jobs;

/// <summary>Training events as a stream carries them: under the names that their JSON bears too.</summary>
internal static class TrainingEvents
{
    private static readonly Dictionary<Type, string> Types =
        typeof(TrainingEvent).GetCustomAttributes<JsonDerivedTypeAttribute>().ToDictionary(kind => kind.DerivedType, kind => (string)kind.TypeDiscriminator!);

    public static ServerEvent ToServerEvent(TrainingEvent item) =>
        new(Types[item.GetType()], JsonSerializer.SerializeToUtf8Bytes(item, HttpJson.Events.TrainingEvent), item.Sequence);
}
