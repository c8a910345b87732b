namespace Dalle.Model.Kernels;

/// <summary>
/// A vector of 32-bit floats. Kernels are written once over this and compiled for each length: <see cref="Lanes16"/> where the processor computes with
/// 512 bits, <see cref="Lanes8"/> where it does with 256.
/// </summary>
internal unsafe interface ILanes<TSelf>
    where TSelf : unmanaged, ILanes<TSelf>
{
    /// <summary>Numbers in a vector; divides <see cref="Element.Lanes"/>.</summary>
    static abstract int Count { get; }

    static abstract TSelf operator +(TSelf left, TSelf right);

    static abstract TSelf operator -(TSelf left, TSelf right);

    static abstract TSelf operator *(TSelf left, TSelf right);

    static abstract TSelf operator /(TSelf left, TSelf right);

    static abstract TSelf operator -(TSelf value);

    static abstract TSelf Load(float* source);

    /// <summary>Reads the upper halves of floats; the lower halves are zero.</summary>
    static abstract TSelf LoadUpperHalves(ushort* source);

    /// <summary>Reads 16-bit codes into the lower halves' bits; the upper halves are zero.</summary>
    static abstract TSelf LoadCodes(ushort* source);

    /// <summary>The number in every lane.</summary>
    static abstract TSelf Create(float value);

    /// <summary>The bits in every lane.</summary>
    static abstract TSelf CreateBits(uint bits);

    /// <summary>The bits that both have.</summary>
    static abstract TSelf And(TSelf left, TSelf right);

    /// <summary>The bits that either has.</summary>
    static abstract TSelf Or(TSelf left, TSelf right);

    /// <summary>The sum of the bits, read as whole numbers.</summary>
    static abstract TSelf AddBits(TSelf left, TSelf right);

    /// <summary>The bits moved up, zeros following.</summary>
    static abstract TSelf ShiftLeft(TSelf value, int count);

    /// <summary>The bits moved down, zeros following.</summary>
    static abstract TSelf ShiftRight(TSelf value, int count);

    /// <summary><c>left * right + addend</c>, rounded once.</summary>
    static abstract TSelf FusedMultiplyAdd(TSelf left, TSelf right, TSelf addend);

    /// <summary>The smaller one, as the processor has it: the second if either is no number.</summary>
    static abstract TSelf Min(TSelf left, TSelf right);

    /// <summary>The larger one, as the processor has it: the second if either is no number.</summary>
    static abstract TSelf Max(TSelf left, TSelf right);

    static abstract TSelf Sqrt(TSelf value);

    /// <summary>The nearest whole number, ties to even.</summary>
    static abstract TSelf Round(TSelf value);

    /// <summary>2 to the power of a whole number from -126 to 127.</summary>
    static abstract TSelf PowerOfTwo(TSelf exponent);

    /// <summary>The value, but 0 where <paramref name="x"/> is below the bound.</summary>
    static abstract TSelf ZeroBelow(TSelf x, float bound, TSelf value);

    /// <summary>One value where <paramref name="x"/> is below the bound, the other elsewhere.</summary>
    static abstract TSelf SelectBelow(TSelf x, float bound, TSelf below, TSelf elsewhere);

    /// <summary>The value, but minus infinity in lanes whose bit, counted from the lowest, is not set.</summary>
    static abstract TSelf Mask(int bits, TSelf value);

    /// <summary>The sum of all lanes.</summary>
    static abstract float Sum(TSelf value);

    /// <summary>The largest lane.</summary>
    static abstract float Largest(TSelf value);

    /// <summary>Adds <c>left * right</c> to this vector, rounded once.</summary>
    void AddProduct(TSelf left, TSelf right);

    void Store(float* target);

    /// <summary>Writes the upper halves, rounded to the nearest, ties to even.</summary>
    void StoreUpperHalves(ushort* target);

    /// <summary>Writes the lower halves' bits.</summary>
    void StoreCodes(ushort* target);
}
