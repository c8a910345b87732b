using Dalle.Contracts;
using Dalle.Contracts.Keys;
using Dalle.Grains.Tests.Hosting;
using Orleans.Runtime;

namespace Dalle.Grains.Tests.Keys;

public sealed class ApiKeysGrainTests(GrainCluster cluster) : IClassFixture<GrainCluster>
{
    private static int _sets = 1000;

    // The system has one set of keys, keyed 0; each test here has one of its own.
    private readonly int _key = Interlocked.Increment(ref _sets);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private string StoredKey => Keys.GetGrainId().Key.ToString()!;

    private IApiKeysGrain Keys => cluster.Grains.GetGrain<IApiKeysGrain>(_key);

    [Fact]
    public async Task Keys_OutliveTheirActivation_OldestFirst()
    {
        await Keys.Create(Key("a"), Token);
        await Keys.Create(Key("b"), Token);
        await cluster.EndActivations(Token);

        var stored = await Keys.Read(0, Token);

        Assert.Equal(["a", "b"], stored.Keys.Select(key => key.Key.Id));
        Assert.Equal((Key("a").Hash, Key("a").Key.Spec.Name, 3), (stored.Keys[0].Hash, stored.Keys[0].Key.Spec.Name, stored.Version));
    }

    [Fact]
    public async Task Create_Again_ChangesNothing_AndAnotherOfThatIdIsRefused()
    {
        await Keys.Create(Key("a"), Token);
        await Keys.Create(Key("a"), Token);

        await Assert.ThrowsAsync<InvalidRequestException>(() => Keys.Create(Key("a") with { Hash = "11" }, Token));
        Assert.Equal((2, 1), ((await Keys.Read(0, Token)).Version, (await Keys.Read(0, Token)).Keys.Count));
    }

    [Fact]
    public async Task Create_OfAKeyThatHasExpired_IsRefused()
    {
        var expired = Key("a");
        expired = expired with { Key = expired.Key with { Spec = expired.Key.Spec with { Expires = DateTimeOffset.UnixEpoch } } };

        Assert.Equal(
            "Expires: expected a time to come, got 1970-01-01 00:00:00Z.", (await Assert.ThrowsAsync<InvalidRequestException>(() => Keys.Create(expired, Token))).Message);
    }

    [Fact]
    public async Task Revoke_TakesItOut_AndWhatIsNotThereIsNotFound()
    {
        await Keys.Create(Key("a"), Token);
        await Keys.Create(Key("b"), Token);
        await Keys.Revoke("a", Token);

        Assert.Equal("b", Assert.Single((await Keys.Read(0, Token)).Keys).Key.Id);
        Assert.Equal("There is no key 'a'.", (await Assert.ThrowsAsync<NotFoundException>(() => Keys.Revoke("a", Token))).Message);
    }

    [Fact]
    public async Task Read_OfWhatTheCallerKnows_WaitsForTheNextChange()
    {
        var known = await Keys.Read(0, Token);

        var next = NextAfter(known.Version);
        await Keys.Create(Key("a"), Token);

        Assert.Equal((known.Version + 1, "a"), ((await next).Version, (await next).Keys[0].Key.Id));
    }

    [Fact]
    public async Task Read_WhileAChangeIsWritten_GivesWhatIsStored()
    {
        var writes = cluster.Stored.HoldNextWrite(StoredKey);
        var creating = Keys.Create(Key("a"), Token);
        var write = await writes.ReadAsync(Token);

        Assert.Empty((await Keys.Read(0, Token)).Keys);
        write.SetResult();
        await creating;
        Assert.Single((await Keys.Read(0, Token)).Keys);
    }

    [Fact]
    public async Task Keys_WhoseStoreRefuses_StayAsTheyWere()
    {
        await Keys.Create(Key("a"), Token);

        cluster.Stored.FailNextWrite(StoredKey);
        await Assert.ThrowsAsync<OrleansException>(() => Keys.Revoke("a", Token));

        Assert.Single((await Keys.Read(0, Token)).Keys);
        await Keys.Revoke("a", Token);
        Assert.Empty((await Keys.Read(0, Token)).Keys);
    }

    /// <summary>A wait that saw no change is repeated.</summary>
    private async Task<ApiKeySet> NextAfter(long version)
    {
        var set = await Keys.Read(version, Token);
        return set.Version > version ? set : await NextAfter(version);
    }

    private static StoredApiKey Key(string id) => new(new(id, new() { Name = $"of-{id}", Roles = [ApiRole.Train] }, DateTimeOffset.UnixEpoch), "00ff");
}
