using System.CommandLine;
using System.Globalization;
using Dalle.Cli.Hosting;
using Dalle.Cli.Rendering;
using Dalle.Contracts.Keys;
using Spectre.Console;

namespace Dalle.Cli.Commands;

/// <summary><c>dalle keys</c>: who may use the HTTP API.</summary>
internal static class KeysCommands
{
    /// <summary>More than anyone would wait for: a hundred years.</summary>
    private const int MostDays = 36_500;

    public static Command Create() => new("keys", "Make, list and revoke keys of the HTTP API. As soon as there is one, requests must show one.")
    {
        CreateCreate(),
        CreateList(),
        CreateRevoke(),
    };

    private static Command CreateCreate()
    {
        var roles = Enum.GetValues<ApiRole>().Select(NameOf).ToArray();
        var name = new Argument<string>("name") { Description = "Whose it is, or what for: letters, digits, dots, dashes, underscores." };
        var role = new Option<string[]>("--role")
        {
            Description = "What its holder may do: generate, train, or admin for everything; may be given more than once.", HelpName = "ROLE", DefaultValueFactory = _ => [NameOf(ApiRole.Generate)],
        };
        role.Validators.Add(result =>
        {
            if (result.Tokens.FirstOrDefault(token => !roles.Contains(token.Value, StringComparer.Ordinal)) is { } unknown)
            {
                result.AddError($"--role expects one of {string.Join(", ", roles)}; got '{unknown.Value}'.");
            }
        });
        var days = new Option<int?>("--days") { Description = "Days that it is valid. Default: for ever.", HelpName = "N" }.Within(1, MostDays);
        var rate = new Option<int?>("--requests-per-minute") { Description = "Requests that it may send in a minute. Default: what each silo allows.", HelpName = "N" }.Within(1, ApiKeySpec.MostRequestsPerMinute);
        var open = new Option<int?>("--concurrent-requests") { Description = "Requests that it may have open at once on a silo. Default: what each silo allows.", HelpName = "N" }
            .Within(1, ApiKeySpec.MostConcurrentRequests);
        var command = new Command("create", "Make a key and print it; it is shown this once.") { name, role, days, rate, open };
        command.SetAction((parsed, cancellationToken) =>
        {
            var context = CommandContext.Of(parsed);
            var spec = new ApiKeySpec
            {
                Name = parsed.GetRequiredValue(name),
                Roles = [.. parsed.GetRequiredValue(role).Distinct().Select(text => Enum.Parse<ApiRole>(text, ignoreCase: true))],
                Expires = parsed.GetValue(days) is { } valid ? context.Clock.GetUtcNow().AddDays(valid) : null,
                RequestsPerMinute = parsed.GetValue(rate),
                ConcurrentRequests = parsed.GetValue(open),
            };
            return Create(context, spec, cancellationToken);
        });
        return command;
    }

    private static Command CreateList()
    {
        var command = new Command("list", "List all keys, oldest first.");
        command.SetAction((parsed, cancellationToken) => List(CommandContext.Of(parsed), cancellationToken));
        return command;
    }

    private static Command CreateRevoke()
    {
        var id = new Argument<string>("key") { Description = "Id of the key, as 'dalle keys list' shows it, or the key itself." };
        var command = new Command("revoke", "Make a key invalid for good.") { id };
        command.SetAction((parsed, cancellationToken) => Revoke(CommandContext.Of(parsed), parsed.GetRequiredValue(id), cancellationToken));
        return command;
    }

    private static async Task<int> Create(CommandContext context, ApiKeySpec spec, CancellationToken cancellationToken)
    {
        spec.Validate();
        await using var cluster = await ClusterConnection.Open(context, cancellationToken);
        var (key, text) = await cluster.Client.CreateKey(spec, cancellationToken);
        context.Terminal.WriteJson(new { key.Id, key.Spec, key.Created, Key = text });
        if (!context.Terminal.IsJson)
        {
            context.Terminal.SayLine(text);
            context.Terminal.SayLine($"Key {key.Id} ({spec.Name}: {string.Join(", ", spec.Roles.Select(NameOf))}) is shown this once; clients send it as 'Authorization: Bearer KEY'.");
        }

        return ExitCodes.Success;
    }

    private static async Task<int> List(CommandContext context, CancellationToken cancellationToken)
    {
        await using var cluster = await ClusterConnection.Open(context, cancellationToken);
        var keys = await cluster.Client.ListKeys(cancellationToken);
        context.Terminal.WriteJson(keys);
        var table = new Table().Border(TableBorder.Simple).AddColumns("id", "name", "roles", "created", "expires", "a minute", "at once");
        foreach (var key in keys)
        {
            table.AddRow([.. Row(key).Select(cell => new Text(cell))]);
        }

        context.Terminal.Say(table);
        return ExitCodes.Success;
    }

    private static string[] Row(ApiKey key) =>
    [
        key.Id, key.Spec.Name, string.Join(", ", key.Spec.Roles.Select(NameOf)), Date(key.Created), key.Spec.Expires is { } expires ? Date(expires) : "never",
        Limit(key.Spec.RequestsPerMinute), Limit(key.Spec.ConcurrentRequests),
    ];

    private static async Task<int> Revoke(CommandContext context, string key, CancellationToken cancellationToken)
    {
        var id = ApiKeySecret.IdOf(key) ?? key;
        await using var cluster = await ClusterConnection.Open(context, cancellationToken);
        await cluster.Client.RevokeKey(id, cancellationToken);
        context.Terminal.WriteJson(new { Id = id });
        context.Terminal.SayLine($"Key {id} is revoked.");
        return ExitCodes.Success;
    }

    private static string NameOf(ApiRole role) => role.ToString().ToLowerInvariant();

    private static string Date(DateTimeOffset time) => time.ToString("yyyy-MM-dd HH:mm", CultureInfo.InvariantCulture);

    private static string Limit(int? limit) => limit is { } most ? Figures.Count(most) : "";
}
