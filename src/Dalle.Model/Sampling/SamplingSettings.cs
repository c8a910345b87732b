namespace Dalle.Model.Sampling;

/// <summary>How image tokens are drawn from the prior's logits. The defaults are the paper's: the whole distribution at temperature 1.</summary>
/// <param name="Temperature">Sampling temperature, above 0.</param>
/// <param name="TopK">Only the k most likely tokens are drawn; null for all.</param>
/// <param name="TopP">Only the most likely tokens up to this total probability are drawn (of those that <paramref name="TopK"/> left); null for all.</param>
/// <param name="Guidance">Classifier-free guidance: logits are moved away from those of the blank caption by this factor; 1 is off.</param>
public sealed record SamplingSettings(double Temperature = 1, int? TopK = null, double? TopP = null, double Guidance = 1)
{
    /// <summary>Whether the blank caption is needed beside the prompt.</summary>
    public bool IsGuided => Guidance != 1;

    /// <summary>Checks the numbers.</summary>
    /// <exception cref="ArgumentOutOfRangeException">One is out of range; it is named.</exception>
    public void Validate()
    {
        Check(double.IsFinite(Temperature) && Temperature > 0, "a temperature above 0", Temperature, nameof(Temperature));
        Check(TopK is null or >= 1, "a top-k of at least 1", TopK, nameof(TopK));
        Check(TopP is null or (> 0 and <= 1), "a top-p above 0 and at most 1", TopP, nameof(TopP));
        Check(double.IsFinite(Guidance) && Guidance >= 0, "a guidance of at least 0", Guidance, nameof(Guidance));

        static void Check(bool holds, string expected, object? value, string name)
        {
            if (!holds)
            {
                throw new ArgumentOutOfRangeException(name, value, $"Expected {expected}, got {value}.");
            }
        }
    }
}
