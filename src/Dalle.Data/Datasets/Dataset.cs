using Dalle.Data.Scenes;
using Dalle.Data.Sources;

namespace Dalle.Data.Datasets;

/// <summary>Finds the dataset that a training spec or a command names.</summary>
public static class Dataset
{
    /// <summary>The built-in drawn scenes.</summary>
    public const string Scenes = "scenes";

    /// <summary>Opens <see cref="Scenes"/> or the folder of an imported dataset. The caller disposes it.</summary>
    /// <exception cref="SourceException">Neither.</exception>
    public static IDataset Open(string name, ShardDatasetOptions? options = null) => name switch
    {
        Scenes => new SceneDataset(),
        _ when File.Exists(Path.Combine(name, DatasetManifest.FileName)) => ShardDataset.Open(name, options),
        _ when Directory.Exists(name) || File.Exists(name) || name == "emoji" => throw new SourceException(
            $"'{name}' is not a dataset yet. Import it first: dalle data import {name} --out DIR, then name DIR."),
        _ => throw new SourceException($"There is no dataset '{name}'. Name \"{Scenes}\" or a folder made by 'dalle data import SOURCE --out DIR'."),
    };
}
