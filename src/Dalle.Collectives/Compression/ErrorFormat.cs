using Dalle.Model.Parameters;

namespace Dalle.Collectives.Compression;

/// <summary>The number formats that error buffers are kept in.</summary>
public enum ErrorFormat
{
    /// <summary>32-bit floats.</summary>
    Float32 = 0,

    /// <summary>
    /// The paper's 16 bits (appendix on mixed precision), <see cref="Float1x6x9"/>. What an update leaves out is rounded to 10 significant bits, and to <see cref="Float1x6x9.Largest"/>
    /// beyond that; what rounding takes away is lost.
    /// </summary>
    Paper16 = 1,
}
