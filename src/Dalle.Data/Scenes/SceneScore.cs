using Dalle.Data.Pictures;

namespace Dalle.Data.Scenes;

/// <summary>How a picture answers a caption. With a wrong count everything is wrong.</summary>
/// <param name="Count">As many objects as asked for, and nothing else.</param>
/// <param name="Colors">Every object has its color.</param>
/// <param name="Shapes">Every object has its shape.</param>
/// <param name="Sizes">Every object has its size.</param>
/// <param name="Relation">The objects stand as asked; true for one object.</param>
public readonly record struct SceneScore(bool Count, bool Colors, bool Shapes, bool Sizes, bool Relation)
{
    /// <summary>Exactly the right count, colors, shapes and relation. Size is not part of it.</summary>
    public bool IsRight => Count && Colors && Shapes && Relation;

    public static SceneScore Of(SceneDescription asked, SceneReading found)
    {
        if (found.Objects.Count != asked.Count || found.Blots != 0)
        {
            return default;
        }

        // Which found object is which asked one: the reading of the two that answers more.
        var straight = Compare(asked, found.Objects);
        var crossed = asked.Count == 2 ? Compare(asked, [found.Objects[1], found.Objects[0]]) : straight;
        return crossed.Weight > straight.Weight ? crossed : straight;
    }

    private int Weight => (IsRight ? 8 : 0) + (Colors ? 2 : 0) + (Shapes ? 2 : 0) + (Relation ? 1 : 0);

    private static SceneScore Compare(SceneDescription asked, IReadOnlyList<PlacedObject> found)
    {
        var pairs = asked.Second is { } second ? [(asked.First, found[0].Object), (second, found[1].Object)] : new[] { (asked.First, found[0].Object) };
        return new SceneScore(
            Count: true,
            Colors: pairs.All(pair => pair.Item1.Color == pair.Item2.Color),
            Shapes: pairs.All(pair => pair.Item1.Shape == pair.Item2.Shape),
            Sizes: pairs.All(pair => pair.Item1.Size == pair.Item2.Size),
            Relation: asked.Relation is not { } relation || relation == SceneReading.Relation(found[0], found[1]));
    }
}

/// <summary>How often pictures of scenes show what their captions ask for. Rates are shares from 0 to 1; a rate of nothing is 0.</summary>
/// <param name="Captions">Captions asked for.</param>
/// <param name="Accuracy">Right in count, colors, shapes and relation together.</param>
/// <param name="AccuracyOfOne">The same over captions of one object.</param>
/// <param name="AccuracyOfTwo">The same over captions of two objects.</param>
/// <param name="CountRate">Right count.</param>
/// <param name="ColorRate">Right count and all colors.</param>
/// <param name="ShapeRate">Right count and all shapes.</param>
/// <param name="RelationRate">Right count and relation, over captions of two objects.</param>
/// <param name="SizeRate">Right count and all sizes.</param>
public sealed record ZeroShotReport(
    int Captions,
    double Accuracy,
    double AccuracyOfOne,
    double AccuracyOfTwo,
    double CountRate,
    double ColorRate,
    double ShapeRate,
    double RelationRate,
    double SizeRate)
{
    /// <summary>Reads every picture and compares it with its caption.</summary>
    /// <exception cref="FormatException">A caption is not one of a scene.</exception>
    public static ZeroShotReport Of(IEnumerable<(string Caption, Picture Picture)> pictures)
    {
        List<SceneScore> one = [];
        List<SceneScore> two = [];
        foreach (var (caption, picture) in pictures)
        {
            var asked = SceneCaption.Parse(caption);
            (asked.Count == 1 ? one : two).Add(SceneScore.Of(asked, SceneReader.Read(picture)));
        }

        List<SceneScore> all = [.. one, .. two];
        return new ZeroShotReport(
            all.Count,
            Rate(all, score => score.IsRight),
            Rate(one, score => score.IsRight),
            Rate(two, score => score.IsRight),
            Rate(all, score => score.Count),
            Rate(all, score => score.Colors),
            Rate(all, score => score.Shapes),
            Rate(two, score => score.Relation),
            Rate(all, score => score.Sizes));
    }

    private static double Rate(List<SceneScore> scores, Func<SceneScore, bool> right) =>
        scores.Count == 0 ? 0 : (double)scores.Count(right) / scores.Count;
}
