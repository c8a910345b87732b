using Dalle.Data.Sources;

namespace Dalle.Data.Tests.Sources;

public sealed class EmojiCaptionsTests
{
    private const string Emoji = """
        [{"name":"RUNNER","unified":"1F3C3","image":"1f3c3.png","short_names":["runner","running"],"category":"People & Body","obsoleted_by":"1F3C3-200D-2642-FE0F",
          "skin_variations":{"1F3FB":{"unified":"1F3C3-1F3FB","non_qualified":null,"image":"1f3c3-1f3fb.png"},"1F3FE-1F3FE":{"unified":"x","image":"both.png"},"1F3FB-1F3FF":{"unified":"x","image":"mixed.png"}}},
         {"name":"WOMAN RUNNING","unified":"1F3C3-200D-2640-FE0F-200D-27A1-FE0F","image":"f.png","short_names":["woman-running"],"category":"People & Body"},
         {"name":"WOMAN COOK","unified":"1F469-200D-1F373","image":"cook.png","short_names":["female-cook"],"category":"People & Body"},
         {"name":"Norway Flag","unified":"1F1F3-1F1F4","image":"no.png","short_names":["flag-no"],"category":"Flags"},
         {"name":"FEMALE SIGN","unified":"2640-FE0F","image":"sign.png","short_names":["female_sign"],"category":"Symbols"}]
        """;

    [Fact]
    public void Read_NamesAndKeywords_BecomeCaptions()
    {
        var pictures = Read("""{"\ud83c\udfc3":["person_running","move",":D","exercise","o\u2019clock"]}""");

        Assert.Equal(["person running", "runner", "running", "person running, people and body", "move, exercise"], pictures["1f3c3.png"].Captions);
        Assert.Equal(["norway flag", "flag no", "norway flag, flags"], pictures["no.png"].Captions);
        Assert.Equal("person running, light skin tone", pictures["1f3c3-1f3fb.png"].Captions[0]);
        Assert.Equal("person running, medium dark skin tone", pictures["both.png"].Captions[0]);
        Assert.Equal("person running, light and dark skin tone", pictures["mixed.png"].Captions[0]);
    }

    [Fact]
    public void Read_Variants_AreOneGroup()
    {
        var pictures = Read("{}");

        Assert.All(["1f3c3.png", "1f3c3-1f3fb.png", "mixed.png", "f.png"], file => Assert.Equal("1f3c3", pictures[file].Group));
        Assert.Equal("1f9d1-1f373", pictures["cook.png"].Group);
        Assert.Equal("1f1f3-1f1f4", pictures["no.png"].Group);
        Assert.Equal("2640-fe0f", pictures["sign.png"].Group);
    }

    [Theory]
    [InlineData("[1]", "{}")]
    [InlineData("[{\"name\":\"x\"}]", "{}")]
    [InlineData("[{\"name\":\"x\",\"unified\":\"zz\",\"image\":\"a\"}]", "{}")]
    [InlineData("[]", "[")]
    public void Read_OtherFiles_AreRefused(string emoji, string keywords) => Assert.Throws<SourceException>(() =>
        EmojiCaptions.Read(System.Text.Encoding.UTF8.GetBytes(emoji), System.Text.Encoding.UTF8.GetBytes(keywords)));

    private static Dictionary<string, EmojiPicture> Read(string keywords) =>
        EmojiCaptions.Read(System.Text.Encoding.UTF8.GetBytes(Emoji), System.Text.Encoding.UTF8.GetBytes(keywords));
}
