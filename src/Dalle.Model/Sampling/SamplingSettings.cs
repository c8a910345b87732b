namespace Dalle.Model.Sampling;

/// <summary>How image tokens are drawn from the prior's logits. The defaults are the paper's: the whole distribution at temperature 1.</summary>
/// <param name="Temperature">Sampling temperature, above 0.</param>
/// <param name="TopK">Only the k most likely tokens are drawn; null for all.</param>
/// <param name="TopP">Only the most likely tokens up to this total probability are drawn; null for all.</param>
/// <param name="Guidance">Classifier-free guidance: logits are moved away from those of the blank caption by this factor; 1 is off.</param>
public sealed record SamplingSettings(double Temperature = 1, int? TopK = null, double? TopP = null, double Guidance = 1);
