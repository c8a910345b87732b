using System.Security.Cryptography;
using System.Text.Json;

namespace Dalle.Model.Safetensors;

/// <summary>What the state file of a checkpoint must be. It is written once that file is durable: a checkpoint without one was not written to its end.</summary>
internal sealed record CheckpointSeal
{
    private static readonly JsonSerializerOptions Readable = new(JsonSerializerDefaults.Web) { WriteIndented = true, RespectNullableAnnotations = true };

    /// <summary>What is trained.</summary>
    public required string Stage { get; init; }

    /// <summary>Number of the next step, counted from 0.</summary>
    public required int Step { get; init; }

    /// <summary>Length of the state file in bytes.</summary>
    public required long Size { get; init; }

    /// <summary>Hash of the state file, in lower-case hexadecimal digits.</summary>
    public required string Sha256 { get; init; }

    /// <summary>Writes it durably.</summary>
    public void Write(string manifest) => DurableFile.Write(manifest, stream => JsonSerializer.Serialize(stream, this, Readable));

    /// <summary>Reads it.</summary>
    /// <exception cref="SafetensorsException">It is missing or cannot be read.</exception>
    public static CheckpointSeal Read(string manifest)
    {
        try
        {
            using var stream = File.OpenRead(manifest);
            return JsonSerializer.Deserialize<CheckpointSeal>(stream, Readable) ?? throw new JsonException("It says 'null'.");
        }
        catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new SafetensorsException(manifest, "expected the manifest of a checkpoint, got no file; the checkpoint was not written to its end.");
        }
        catch (JsonException error)
        {
            throw new SafetensorsException(manifest, $"expected the manifest of a checkpoint, got something else: {error.Message}");
        }
    }

    /// <summary>Lets a state file through whose bytes are those that were written. It is read in small pieces.</summary>
    /// <exception cref="SafetensorsException">It is missing or has another length or hash.</exception>
    public void Verify(string state)
    {
        if (!File.Exists(state))
        {
            throw new SafetensorsException(state, $"expected {Size} bytes, got no file.");
        }

        using var stream = new FileStream(state, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 1 << 20, FileOptions.SequentialScan);
        if (stream.Length != Size)
        {
            throw new SafetensorsException(state, $"expected {Size} bytes, got {stream.Length}.");
        }

        var found = Convert.ToHexStringLower(SHA256.HashData(stream));
        if (found != Sha256)
        {
            throw new SafetensorsException(state, $"expected SHA-256 {Sha256}, got {found}; the file was altered since it was written.");
        }
    }
}
