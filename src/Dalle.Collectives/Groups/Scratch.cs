namespace Dalle.Collectives.Groups;

/// <summary>Where pieces of other ranks wait to be added: a ring of slots, each with a place for every other rank.</summary>
internal sealed class Scratch(Exchange exchange, int others, int length, int slots)
{
    private readonly Memory<byte> _buffer = exchange.Rent(checked(others * length * slots));

    /// <summary>A place of its slot, for a piece that may be shorter than the longest.</summary>
    public Memory<byte> Place(int slot, int place, int pieceLength) => _buffer.Slice(((slot % slots * others) + place) * length, pieceLength);
}
