namespace Dalle.Cli.Hosting;

/// <summary>What the process returns.</summary>
internal static class ExitCodes
{
    public const int Success = 0;

    /// <summary>The command ran and failed; the reason is one line on standard error.</summary>
    public const int Failure = 1;

    /// <summary>The command line is not valid; nothing was run.</summary>
    public const int Usage = 2;

    /// <summary>Ended by Ctrl-C or SIGTERM, in order.</summary>
    public const int Interrupted = 130;
}
