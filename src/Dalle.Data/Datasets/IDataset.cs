using Dalle.Data.Pictures;

namespace Dalle.Data.Datasets;

/// <summary>Captioned pictures ready for training: checked, counted, and read in any order by index. Thread-safe.</summary>
public interface IDataset : IDisposable
{
    /// <summary>Samples there are.</summary>
    int Count { get; }

    /// <summary>Number of the first held-out sample: samples from here to <see cref="Count"/> are for evaluation only, never trained on.</summary>
    int TrainingCount { get; }

    /// <summary>A fingerprint of the content: two datasets with the same fingerprint train the same model.</summary>
    string Fingerprint { get; }

    /// <summary>The sample's stable id.</summary>
    string GetId(int index);

    /// <summary>The sample's captions, best first; at least one.</summary>
    IReadOnlyList<string> GetCaptions(int index);

    /// <summary>Decodes the sample's picture.</summary>
    Picture ReadPicture(int index);
}
