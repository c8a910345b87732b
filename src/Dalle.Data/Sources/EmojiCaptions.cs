using System.Text.Json;
using System.Text.Json.Serialization;

namespace Dalle.Data.Sources;

/// <summary>One emoji picture: what it is called and which drawing it is a variant of.</summary>
internal sealed record EmojiPicture(IReadOnlyList<string> Captions, string Group);

/// <summary>Captions for emoji, from emoji-datasource's emoji.json (names, categories) and emojilib's keyword lists.</summary>
internal static class EmojiCaptions
{
    private const int MaxKeywords = 8;

    private static readonly JsonSerializerOptions SnakeCase = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    /// <summary>All pictures by file name. Drawings that differ only in skin tone, gender or direction are one group.</summary>
    /// <param name="emojiJson">emoji.json as UTF-8.</param>
    /// <param name="keywordJson">emojilib's emoji-en-US.json as UTF-8: an object from emoji to keywords, its name first.</param>
    /// <exception cref="SourceException">Not the files expected.</exception>
    public static Dictionary<string, EmojiPicture> Read(ReadOnlySpan<byte> emojiJson, ReadOnlySpan<byte> keywordJson)
    {
        try
        {
            var keywords = JsonSerializer.Deserialize<Dictionary<string, string[]>>(keywordJson) ?? [];
            var pictures = new Dictionary<string, EmojiPicture>();
            foreach (var emoji in JsonSerializer.Deserialize<Emoji[]>(emojiJson, SnakeCase) ?? [])
            {
                var group = GroupOf(emoji.ObsoletedBy ?? emoji.Unified);
                var captions = CaptionsOf(emoji, keywords.GetValueOrDefault(Characters(emoji.Unified)) ?? []);
                pictures[emoji.Image] = new EmojiPicture(captions, group);
                foreach (var (tones, variant) in emoji.SkinVariations ?? [])
                {
                    var suffix = $", {ToneNames(tones)} skin tone";
                    pictures[variant.Image] = new EmojiPicture([.. captions.Select(caption => caption + suffix)], group);
                }
            }
            return pictures;
        }
        catch (Exception unexpected) when (unexpected is JsonException or FormatException or KeyNotFoundException)
        {
            throw new SourceException($"The emoji packages do not hold the lists expected: {unexpected.Message} Delete them from the package folder to fetch them again.", unexpected);
        }
    }

    /// <summary>The code points without joiners, gender signs and direction; man and woman become person.</summary>
    private static string GroupOf(string unified)
    {
        var bare = unified.Split('-')
            .Where(code => code is not ("200D" or "FE0F" or "2640" or "2642" or "27A1"))
            .Select(code => code is "1F468" or "1F469" ? "1F9D1" : code);
        return string.Join('-', bare) is { Length: > 0 } group ? group.ToLowerInvariant() : unified.ToLowerInvariant();
    }

    private static string[] CaptionsOf(Emoji emoji, string[] keywords)
    {
        var name = Words(keywords.FirstOrDefault() ?? emoji.Name);
        var described = keywords.Skip(1).Select(Words).Where(word => word.Length > 1 && word.All(c => char.IsAsciiLetter(c) || c == ' ')).Distinct().Take(MaxKeywords);
        string[] captions = [name, Words(emoji.Name), .. emoji.ShortNames.Select(Words), $"{name}, {Words(emoji.Category.Replace("&", "and", StringComparison.Ordinal))}", string.Join(", ", described)];
        return [.. captions.Where(caption => caption.Length > 0).Distinct()];
    }

    private static string Words(string name) => name.Replace('_', ' ').Replace('-', ' ').Replace('\u00A0', ' ').Trim().ToLowerInvariant();

    private static string ToneNames(string tones) => string.Join(" and ", tones.Split('-').Distinct().Select(tone => tone switch
    {
        "1F3FB" => "light",
        "1F3FC" => "medium light",
        "1F3FD" => "medium",
        "1F3FE" => "medium dark",
        "1F3FF" => "dark",
        _ => throw new FormatException($"'{tone}' is not a skin tone."),
    }));

    private static string Characters(string unified) => string.Concat(unified.Split('-').Select(code => char.ConvertFromUtf32(Convert.ToInt32(code, 16))));

    private sealed record Emoji
    {
        [JsonRequired] public string Name { get; init; } = "";

        [JsonRequired] public string Unified { get; init; } = "";

        [JsonRequired] public string Image { get; init; } = "";

        public string[] ShortNames { get; init; } = [];

        public string Category { get; init; } = "";

        public string? ObsoletedBy { get; init; }

        public Dictionary<string, Variant>? SkinVariations { get; init; }
    }

    private sealed record Variant
    {
        [JsonRequired] public string Image { get; init; } = "";
    }
}
