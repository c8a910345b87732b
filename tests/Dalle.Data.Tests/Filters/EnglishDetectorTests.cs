using Dalle.Data.Filters;

namespace Dalle.Data.Tests.Filters;

public sealed class EnglishDetectorTests
{
    private static readonly string[] English =
    [
        "a man riding a wave on top of a surfboard", "Two dogs playing in the snow", "A plate of food with broccoli and rice.", "the old bridge over the river in autumn",
        "An empty bench next to some trees", "people waiting at a bus stop", "A caf\u00e9 terrace at night", "jalape\u00f1o peppers on a table", "grinning face", "garlic",
        "red apple", "a cat, an owl and a die", "view of the Z\u00fcrich lake", "Children's drawing of their house", "He is in his garden", "sunset at Lago di Como", "7",
        "a small red circle above a big blue square", "woman in a white dress", "Los Angeles skyline from above",
    ];

    private static readonly string[] Foreign =
    [
        "ein Mann reitet auf einer Welle", "Zwei Hunde spielen im Schnee", "Blick auf das alte Rathaus und die Kirche", "ein Teller mit Essen auf dem Tisch",
        "un homme sur une planche de surf", "Deux chiens jouent dans la neige", "le vieux pont sur la rivi\u00e8re en automne", "une assiette avec des l\u00e9gumes",
        "un hombre montando una ola en el mar", "dos perros jugando en la nieve", "una mesa con un plato de comida", "vista de la ciudad por la noche",
        "un uomo con la tavola da surf", "due cani che giocano nella neve", "il vecchio ponte sul fiume", "uma mulher com um vestido branco", "dois c\u00e3es brincando na neve",
        "een man op een surfplank in de zee", "twee honden spelen in de sneeuw", "\u0441\u043e\u0431\u0430\u043a\u0430 \u043d\u0430 \u0441\u043d\u0435\u0433\u0443",
        "\u4e00\u53ea\u732b\u5750\u5728\u684c\u5b50\u4e0a", "\u96ea\u306e\u4e2d\u306e\u72ac photo", "\u0643\u0644\u0628 \u0641\u064a \u0627\u0644\u062b\u0644\u062c",
        "d\u011bti hraj\u00ed fotbal v\u00a0l\u00e9t\u011b", "k\u0131rm\u0131z\u0131 \u015fapkal\u0131 kad\u0131n",
    ];

    [Fact]
    public void MayBeEnglish_EnglishCaptions_AreKept() => Assert.Equal([], English.Where(caption => !EnglishDetector.MayBeEnglish(caption)));

    [Fact]
    public void MayBeEnglish_ForeignCaptions_AreFound() => Assert.Equal([], Foreign.Where(EnglishDetector.MayBeEnglish));
}
