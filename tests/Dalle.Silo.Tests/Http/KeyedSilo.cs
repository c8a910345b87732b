using System.Net;
using System.Text.Json;
using Dalle.Silo.Hosting;
using Microsoft.Extensions.DependencyInjection;

namespace Dalle.Silo.Tests.Http;

/// <summary>A silo with a key in its configuration, and a clock that tests set forward.</summary>
public sealed class KeyedSilo : IAsyncLifetime
{
    /// <summary>The key of its configuration: an admin's.</summary>
    public const string Admin = "correct-horse-battery-staple";

    private readonly SettableClock _clock = new();

    public Action<SiloOptions> Configure { get; init; } = _ => { };

    public HttpSilo Silo { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        Silo = new HttpSilo
        {
            Configure = options =>
            {
                options.Http.ApiKey = Admin;
                Configure(options);
            },
            ConfigureServices = services => services.AddSingleton<TimeProvider>(_clock),
        };
        await Silo.InitializeAsync();
    }

    public ValueTask DisposeAsync() => Silo.DisposeAsync();

    /// <summary>Sets the time of day forward; timers go on as they did.</summary>
    public void Forward(TimeSpan by) => _clock.Ahead += by;

    /// <summary>Makes a key.</summary>
    /// <param name="role">Its role.</param>
    /// <param name="more">Further fields, as JSON.</param>
    public async Task<JsonElement> MakeKey(string role, string more = "") => await HttpSilo.Read(
        await Silo.Send(HttpMethod.Post, "/v1/keys", Admin, $$"""{ "name": "{{role}}", "roles": ["{{role}}"] {{more}} }"""), HttpStatusCode.Created);

    /// <summary>Makes a key.</summary>
    /// <returns>Its text.</returns>
    public async Task<string> MakeKeyText(string role, string more = "") => (await MakeKey(role, more)).GetProperty("key").GetString()!;

    private sealed class SettableClock : TimeProvider
    {
        public TimeSpan Ahead { get; set; }

        public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + Ahead;
    }
}
