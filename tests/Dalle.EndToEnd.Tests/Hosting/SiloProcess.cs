using Dalle.Client;
using Dalle.Contracts.Models;
using Dalle.Contracts.Training;
using Dalle.Tests.Shared;

namespace Dalle.EndToEnd.Tests.Hosting;

/// <summary>A <c>dalle silo</c> on a data folder, with a client connected to it.</summary>
internal sealed class SiloProcess : IAsyncDisposable
{
    private readonly RunningDalle _process;

    private SiloProcess(RunningDalle process, DalleClient client) => (_process, Client) = (process, client);

    public DalleClient Client { get; }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    /// <summary>Starts a silo and waits until it serves.</summary>
    public static Task<SiloProcess> Start(string dataFolder, DalleClientOptions? options = null) =>
        Start(RunningDalle.Start("silo", "--http-port", "0", "--data-dir", dataFolder), dataFolder, options);

    /// <summary>Starts a silo that others can join, or that joins another.</summary>
    /// <param name="dataFolder">Its own.</param>
    /// <param name="secret">The cluster's.</param>
    /// <param name="join">Whom to join; null for a new cluster.</param>
    /// <param name="variables">Set in its environment, beside the secret.</param>
    public static Task<SiloProcess> StartInCluster(string dataFolder, string secret, string? join = null, params IReadOnlyList<(string Name, string Value)> variables)
    {
        string[] arguments = ["silo", "--http-port", "0", "--data-dir", dataFolder];
        return Start(RunningDalle.StartWith([("DALLE_CLUSTERSECRET", secret), .. variables], [.. arguments, .. join is null ? [] : (string[])["--join", join]]), dataFolder, options: null);
    }

    private static async Task<SiloProcess> Start(RunningDalle process, string dataFolder, DalleClientOptions? options)
    {
        try
        {
            await process.Line("Serving ");
            return new(process, await DalleClient.Connect(dataFolder, options, Token));
        }
        catch
        {
            await process.DisposeAsync();
            throw;
        }
    }

    /// <summary>Reads a job's events up to and with the first that is wanted.</summary>
    public async Task<IReadOnlyList<TrainingEvent>> Watch(string job, Func<TrainingEvent, bool> wanted)
    {
        var events = new List<TrainingEvent>();
        await foreach (var next in Client.Watch(job, cancellationToken: Token))
        {
            events.Add(next);
            if (wanted(next))
            {
                return events;
            }
        }

        var status = await Client.GetStatus(job, Token);
        throw new InvalidOperationException($"Job '{job}' came to rest before the awaited event: {status.Phase} in {status.Stage} at {status.Step}. {status.Failure}");
    }

    /// <summary>Waits for the job's end.</summary>
    /// <returns>What it has published.</returns>
    public async Task<ModelManifest> Finish(string job)
    {
        await foreach (var _ in Client.Watch(job, cancellationToken: Token))
        {
        }

        var status = await Client.GetStatus(job, Token);
        Assert.True(status.Phase == TrainingPhase.Completed, $"{status.Phase} in {status.Stage}: {status.Failure}");
        return await Client.GetModel(status.Spec.Model, Token);
    }

    /// <summary>Sends the silo a signal.</summary>
    public void Send(Signal signal) => _process.Send(signal);

    /// <summary>Waits for its end.</summary>
    public Task<DalleProcess.Result> End() => _process.End();

    /// <summary>Sends the silo a signal and waits for its end.</summary>
    public Task<DalleProcess.Result> End(Signal signal)
    {
        Send(signal);
        return End();
    }

    public async ValueTask DisposeAsync()
    {
        // The process first: a client that is closed in order would wait for a silo that was killed.
        await _process.DisposeAsync();
        await Client.DisposeAsync();
    }
}
