using Dalle.Data.Randomness;

namespace Dalle.Data.Scenes;

/// <summary>
/// The captions a model of scenes is asked for: half of them of one object, half of two, in any of the templates. The lists are fixed,
/// and a shorter list begins a longer one. There are only 36 held-out captions of one object, so long lists repeat them.
/// </summary>
public static class ZeroShotCaptions
{
    // Fixed, whatever the seed of a job: figures of different jobs must be about the same captions.
    private const ulong Seed = 0x5CE2E;

    /// <summary>Captions with exactly one object of a pair of colour and shape that training never shows.</summary>
    public static IReadOnlyList<string> HeldOut(int count) => List(SceneSplit.HeldOut, count);

    /// <summary>Captions of pairs that training shows, to compare with.</summary>
    public static IReadOnlyList<string> Seen(int count) => List(SceneSplit.Seen, count);

    private static string[] List(SceneSplit split, int count)
    {
        var captions = new string[count];
        for (var i = 0; i < count; i++)
        {
            var all = SceneCaption.AllOf(SceneFamily.Get(split, i, Seed).Description);
            captions[i] = all[new KeyedRandom(KeyedRandom.Key(Seed, (ulong)split, (ulong)i, 1)).NextInt(all.Count)];
        }

        return captions;
    }
}
