using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text.Json;
using Dalle.Data.Pictures;

namespace Dalle.Data.Sources;

/// <summary>
/// MS-COCO captions: one JSON file with "images" (id, file_name) and "annotations" (image_id, caption), the pictures in a folder. The file is read twice: the captions
/// are held by picture (about 100 MB for the 600,000 of the 2014 training set), then the pictures are streamed. The id is the image id.
/// </summary>
public sealed class CocoSource(string annotationFile, SampleSourceOptions? options = null) : ISampleSource
{
    private readonly SampleSourceOptions _options = options ?? new();

    public string Description => $"COCO captions {Path.GetFileName(annotationFile)}";

    public string? Licence => _options.Licence;

    public async IAsyncEnumerable<Sample> Read(Action<string, RejectionReason> rejected, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var pictures = new PictureFolder(_options.PictureFolder ?? Path.GetDirectoryName(Path.GetFullPath(annotationFile))!, _options.MaxPictureBytes);
        var damaged = false;
        var captions = await ReadCaptions(rejected, ReportDamage, cancellationToken);
        await foreach (var image in Elements("images", ReportDamage, cancellationToken))
        {
            if (Number(image, "id") is not { } number || Text(image, "file_name") is not { } path)
            {
                rejected($"{Path.GetFileName(annotationFile)}#images", RejectionReason.RecordMalformed);
                continue;
            }
            var id = number.ToString(CultureInfo.InvariantCulture);
            Sample? sample = null;
            try
            {
                sample = captions.TryGetValue(number, out var own) && _options.CleanCaptions(own) is { Count: > 0 } clean
                    ? new Sample(id, clean, await pictures.Read(path, cancellationToken))
                    : throw new PictureException(RejectionReason.CaptionMissing, $"Image {id} has no caption.");
            }
            catch (PictureException broken)
            {
                rejected(id, broken.Reason);
            }
            if (sample is not null)
            {
                yield return sample;
            }
        }

        void ReportDamage()
        {
            // Both reads of the file meet the same damage.
            if (!damaged)
            {
                damaged = true;
                rejected(Path.GetFileName(annotationFile), RejectionReason.RecordMalformed);
            }
        }
    }

    private async Task<Dictionary<long, List<string>>> ReadCaptions(Action<string, RejectionReason> rejected, Action damaged, CancellationToken cancellationToken)
    {
        var captions = new Dictionary<long, List<string>>();
        await foreach (var annotation in Elements("annotations", damaged, cancellationToken))
        {
            if (Number(annotation, "image_id") is not { } image || Text(annotation, "caption") is not { } caption)
            {
                rejected($"{Path.GetFileName(annotationFile)}#annotations", RejectionReason.RecordMalformed);
                continue;
            }
            if (!captions.TryGetValue(image, out var own))
            {
                captions.Add(image, own = []);
            }
            if (own.Count < _options.MaxCaptions)
            {
                own.Add(_options.CleanCaption(caption));
            }
        }
        return captions;
    }

    private async IAsyncEnumerable<JsonElement> Elements(string property, Action damaged, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await using var file = File.OpenRead(annotationFile);
        await using var elements = new JsonArrayReader(file, property, _options.MaxRecordBytes).Read(cancellationToken).GetAsyncEnumerator(cancellationToken);
        while (await Next(elements, damaged) is { } element)
        {
            yield return element;
        }
    }

    private static async Task<JsonElement?> Next(IAsyncEnumerator<JsonElement> elements, Action damaged)
    {
        try
        {
            return await elements.MoveNextAsync() ? elements.Current : null;
        }
        catch (JsonException)
        {
            damaged();
            return null;
        }
    }

    private static long? Number(JsonElement record, string property) =>
        record.ValueKind == JsonValueKind.Object && record.TryGetProperty(property, out var value) && value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out var number)
            ? number : null;

    private static string? Text(JsonElement record, string property) =>
        record.ValueKind == JsonValueKind.Object && record.TryGetProperty(property, out var value) ? CaptionJson.Text(value) : null;
}
