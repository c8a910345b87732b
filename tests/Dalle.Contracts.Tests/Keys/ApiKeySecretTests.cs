using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Dalle.Contracts.Keys;

namespace Dalle.Contracts.Tests.Keys;

public sealed class ApiKeySecretTests
{
    [Fact]
    public void New_IsAnIdAnd256RandomBits_OtherEachTime()
    {
        var (first, second) = (ApiKeySecret.New(), ApiKeySecret.New());

        Assert.Matches("^dalle_[0-9a-f]{12}_[0-9a-f]{64}$", first);
        Assert.Equal(first[6..18], ApiKeySecret.IdOf(first));
        Assert.NotEqual(first[6..18], second[6..18]);
        Assert.NotEqual(first[19..], second[19..]);
    }

    [Theory]
    [InlineData("")]
    [InlineData("dalle_0123456789ab_")]
    [InlineData("sk-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")]
    public void IdOf_WhatIsNoKey_IsNone(string text) => Assert.Null(ApiKeySecret.IdOf(text));

    [Fact]
    public void Hash_IsSha256_AndMatchesItsTextAlone()
    {
        var text = ApiKeySecret.New();
        var hash = ApiKeySecret.Hash(text);

        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text))), hash);
        Assert.True(ApiKeySecret.Matches(hash, text));
        Assert.False(ApiKeySecret.Matches(hash, text[..^1] + (text[^1] == '0' ? '1' : '0')));
        Assert.False(ApiKeySecret.Matches(hash, ""));
    }

    /// <summary>How long the comparison takes cannot be tested; what makes it, can.</summary>
    [Fact]
    public void Matches_ComparesInConstantTime()
    {
        var method = typeof(ApiKeySecret).GetMethod(nameof(ApiKeySecret.Matches))!;
        var code = method.GetMethodBody()!.GetILAsByteArray()!;
        const byte Call = 0x28;

        var called = Enumerable.Range(0, code.Length - 4).Where(at => code[at] == Call).Select(at => BinaryPrimitives.ReadInt32LittleEndian(code.AsSpan(at + 1)))
            .Where(token => token >> 24 is 0x06 or 0x0A).Select(token => method.Module.ResolveMethod(token)!);

        Assert.Contains(called, found => found.DeclaringType == typeof(CryptographicOperations) && found.Name == nameof(CryptographicOperations.FixedTimeEquals));
        Assert.DoesNotContain(called, found => found.Name is "op_Equality" or "Equals" or "SequenceEqual");
    }
}
