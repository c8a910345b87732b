using Dalle.Data.Randomness;

namespace Dalle.Data.Scenes;

/// <summary>The parts of the scene family. Part of what decides a scene: values are append-only.</summary>
public enum SceneSplit
{
    /// <summary>Scenes to train on: only pairs of colour and shape that are not held out.</summary>
    Training = 0,

    /// <summary>Scenes of the same pairs as in training, drawn apart from them.</summary>
    Seen = 1,

    /// <summary>Zero-shot scenes: exactly one object of every scene is of a held-out pair of colour and shape.</summary>
    HeldOut = 2,
}

/// <summary>
/// The family of captioned scenes: one or two flat objects on white, 32x32 pixels. Even indices have one object, odd ones two.
/// Centres lie on whole pixels. Two objects are never of the same colour and shape; along the axis of their relation at least
/// <see cref="Gap"/> white pixels part them, across it their centres differ by at most half of their distance along it.
/// </summary>
public static class SceneFamily
{
    /// <summary>White pixels between two objects, at least.</summary>
    public const int Gap = 2;

    /// <summary>The 6 of the 24 pairs that training never shows. Every colour keeps 3 of its 4 shapes, every shape at least 4 of its 6 colours.</summary>
    public static IReadOnlyList<(SceneColor Color, SceneShape Shape)> HeldOutPairs { get; } =
    [
        (SceneColor.Red, SceneShape.Triangle),
        (SceneColor.Green, SceneShape.Circle),
        (SceneColor.Blue, SceneShape.Cross),
        (SceneColor.Yellow, SceneShape.Square),
        (SceneColor.Purple, SceneShape.Circle),
        (SceneColor.Cyan, SceneShape.Triangle),
    ];

    /// <summary>The other 18 pairs.</summary>
    public static IReadOnlyList<(SceneColor Color, SceneShape Shape)> SeenPairs { get; } =
    [
        .. from color in Enum.GetValues<SceneColor>()
           from shape in Enum.GetValues<SceneShape>()
           where !HeldOutPairs.Contains((color, shape))
           select (color, shape),
    ];

    public static bool IsHeldOut(SceneObject item) => HeldOutPairs.Contains((item.Color, item.Shape));

    /// <summary>A pure function of its arguments, the same on every machine.</summary>
    public static Scene Get(SceneSplit split, long index, ulong seed)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        var random = new KeyedRandom(KeyedRandom.Key(seed, (ulong)split, (ulong)index));
        return index % 2 == 0 ? One(split, ref random) : Two(split, ref random);
    }

    private static Scene One(SceneSplit split, ref KeyedRandom random)
    {
        var only = Draw(split == SceneSplit.HeldOut ? HeldOutPairs : SeenPairs, ref random);
        return new Scene(new SceneDescription(only), [new PlacedObject(only, AnyCentre(only, ref random), AnyCentre(only, ref random))]);
    }

    private static Scene Two(SceneSplit split, ref KeyedRandom random)
    {
        var first = Draw(split == SceneSplit.HeldOut ? HeldOutPairs : SeenPairs, ref random);
        var second = Draw(SeenPairs, ref random);
        while ((first.Color, first.Shape) == (second.Color, second.Shape))
        {
            second = Draw(SeenPairs, ref random);
        }

        if (random.NextInt(2) == 1)
        {
            (first, second) = (second, first);
        }

        var relation = (SceneRelation)random.NextInt(SceneVocabulary.Relations);
        return new Scene(new SceneDescription(first, relation, second), Place(first, relation, second, ref random));
    }

    private static PlacedObject[] Place(SceneObject first, SceneRelation relation, SceneObject second, ref KeyedRandom random)
    {
        var firstLeads = relation is SceneRelation.Above or SceneRelation.LeftOf;
        var (leader, follower) = firstLeads ? (first, second) : (second, first);
        var (reachL, reachF) = (leader.Size.Extent() / 2, follower.Size.Extent() / 2);

        var slack = SceneVocabulary.ImageSize - (2 * (reachL + reachF)) - Gap;
        var (u, v) = (random.NextInt(0, slack), random.NextInt(0, slack));
        var alongL = reachL + Math.Min(u, v);
        var alongF = reachL + reachL + reachF + Gap + Math.Max(u, v);

        var sway = (alongF - alongL) / 2;
        var acrossL = AnyCentre(leader, ref random);
        var acrossF = random.NextInt(Math.Max(reachF, acrossL - sway), Math.Min(SceneVocabulary.ImageSize - reachF, acrossL + sway));

        var vertical = relation is SceneRelation.Above or SceneRelation.Below;
        var placedL = vertical ? new PlacedObject(leader, acrossL, alongL) : new PlacedObject(leader, alongL, acrossL);
        var placedF = vertical ? new PlacedObject(follower, acrossF, alongF) : new PlacedObject(follower, alongF, acrossF);
        return firstLeads ? [placedL, placedF] : [placedF, placedL];
    }

    private static SceneObject Draw(IReadOnlyList<(SceneColor Color, SceneShape Shape)> pairs, ref KeyedRandom random)
    {
        var (color, shape) = pairs[random.NextInt(pairs.Count)];
        return new SceneObject(color, shape, (SceneSize)random.NextInt(SceneVocabulary.Sizes));
    }

    private static int AnyCentre(SceneObject item, ref KeyedRandom random)
    {
        var reach = item.Size.Extent() / 2;
        return random.NextInt(reach, SceneVocabulary.ImageSize - reach);
    }
}
