namespace Dalle.Model.Training;

/// <summary>A half cosine from one value to another over a number of updates, constant afterwards (paper, appendix on the dVAE).</summary>
/// <param name="From">Value at update 0.</param>
/// <param name="To">Value from update <paramref name="Over"/> on.</param>
/// <param name="Over">Updates from the first value to the last; 0 for the last value at once.</param>
public sealed record CosineSchedule(double From, double To, int Over)
{
    /// <summary>The value at an update, counted from 0.</summary>
    public double At(int step) => step >= Over ? To : To + ((From - To) * 0.5 * (1 + Math.Cos(Math.PI * step / Over)));
}

/// <summary>A step size that grows linearly at the start of training (paper, appendix B.2).</summary>
internal static class LinearWarmUp
{
    /// <summary>The share of the full step size at an update, counted from 0; 1 from the last of the growing updates on.</summary>
    /// <param name="step">The update.</param>
    /// <param name="updates">Updates that it grows over; 0 for none.</param>
    public static double At(int step, int updates) => step < updates ? (step + 1.0) / updates : 1;
}
