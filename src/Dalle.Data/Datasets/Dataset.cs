using Dalle.Data.Scenes;

namespace Dalle.Data.Datasets;

/// <summary>Opens datasets by name.</summary>
public static class Dataset
{
    /// <summary>The built-in procedural scenes.</summary>
    public const string Scenes = "scenes";

    /// <summary>Opens <see cref="Scenes"/>, or the folder of an imported dataset. The caller disposes it.</summary>
    /// <exception cref="InvalidDataException">It is neither.</exception>
    public static IDataset Open(string name) => name == Scenes
        ? new SceneDataset()
        : throw new InvalidDataException($"'{name}' is no dataset: expected '{Scenes}' or the folder of an imported dataset.");
}
