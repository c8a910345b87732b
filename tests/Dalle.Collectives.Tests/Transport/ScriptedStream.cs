namespace Dalle.Collectives.Tests.Transport;

/// <summary>The other side of a conversation that says the same whatever it hears.</summary>
internal sealed class ScriptedStream(byte[] says) : MemoryStream(says)
{
    public override void Write(ReadOnlySpan<byte> buffer)
    {
    }

    public override void Write(byte[] buffer, int offset, int count)
    {
    }
}
