using Dalle.Data.Pictures;
using Dalle.Data.Sources;
using Dalle.Data.Tests.Pictures;

namespace Dalle.Data.Tests.Sources;

internal static class SourceReading
{
    public static readonly byte[] Png = Fixture.Read("palette.png");

    /// <summary>Everything a source gives, and everything it refuses.</summary>
    public static async Task<(List<Sample> Samples, List<(string Id, RejectionReason Reason)> Rejected)> ReadAll(this ISampleSource source)
    {
        var rejected = new List<(string, RejectionReason)>();
        var samples = new List<Sample>();
        await foreach (var sample in source.Read((id, reason) => rejected.Add((id, reason)), TestContext.Current.CancellationToken))
        {
            samples.Add(sample);
        }
        return (samples, rejected);
    }

    public static string[] Lines(this IEnumerable<Sample> samples) => [.. samples.Select(sample => $"{sample.Id}: {string.Join(" | ", sample.Captions)}")];

    public static void AssertPictures(IEnumerable<Sample> samples) =>
        Assert.All(samples, sample => Fixture.AssertQuarters(PictureDecoder.Decode(sample.EncodedPicture.Span), 20));
}
