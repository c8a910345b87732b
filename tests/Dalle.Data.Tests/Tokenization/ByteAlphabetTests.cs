using Dalle.Data.Tokenization;

namespace Dalle.Data.Tests.Tokenization;

public sealed class ByteAlphabetTests
{
    [Theory]
    [InlineData('a', 'a')]
    [InlineData('~', '~')]
    [InlineData(' ', '\u0120')]
    [InlineData('\n', '\u010A')]
    [InlineData('\0', '\u0100')]
    [InlineData((char)0x7F, '\u0121')]
    [InlineData((char)0xA0, '\u0142')]
    [InlineData((char)0xA1, '\u00A1')]
    [InlineData((char)0xAD, '\u0143')]
    [InlineData((char)0xFF, '\u00FF')]
    public void InByteOrder_IsThatOfGpt2(char value, char letter) => Assert.Equal(letter, ByteAlphabet.InByteOrder[value]);

    [Fact]
    public void InByteOrder_HasALetterForEveryByte()
    {
        Assert.Equal(256, ByteAlphabet.InByteOrder.Distinct().Count());
        Assert.DoesNotContain(ByteAlphabet.InByteOrder, letter => char.IsWhiteSpace(letter) || char.IsControl(letter));
    }

    [Theory]
    [InlineData("", "")]
    [InlineData(" a", "\u0120a")]
    [InlineData("\u00E9", "\u00C3\u00A9")]
    [InlineData("\uD83D\uDE00", "\u00F0\u0141\u013A\u0122")]
    public void Encode_GivesTheUtf8Bytes_AndDecodeTheTextAgain(string text, string letters)
    {
        Assert.Equal(letters, ByteAlphabet.Encode(text));
        Assert.Equal(text, ByteAlphabet.Decode(letters));
    }

    [Fact]
    public void Decode_OfHalfACharacter_GivesTheReplacement() => Assert.Equal("\uFFFD", ByteAlphabet.Decode("\u00C3"));

    [Fact]
    public void Decode_OfALetterOutsideTheAlphabet_NamesIt() =>
        Assert.Contains("'\u0144'", Assert.Throws<FormatException>(() => ByteAlphabet.Decode("a\u0144")).Message, StringComparison.Ordinal);
}
