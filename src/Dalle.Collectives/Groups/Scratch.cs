namespace Dalle.Collectives.Groups;

/// <summary>Where pieces of other processes' ranks wait to be added: a ring of slots, each with a place for every such rank.</summary>
internal sealed class Scratch(Exchange exchange, int foreign, int length, int slots)
{
    private readonly Memory<byte> _buffer = exchange.Rent(checked(foreign * length * slots));

    /// <summary>A place of its slot, for a piece that may be shorter than the longest.</summary>
    public Memory<byte> Place(int slot, int place, int pieceLength) => _buffer.Slice(((slot % slots * foreign) + place) * length, pieceLength);
}
