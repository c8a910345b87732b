using System.CommandLine;

namespace Dalle.Cli.Hosting;

/// <summary>The options that every command takes.</summary>
internal static class GlobalOptions
{
    public static Option<DirectoryInfo> DataDirectory { get; } = new("--data-dir")
    {
        Description = "Folder of the silo: its storage, checkpoints and models; $DALLE_HOME names another default.",
        HelpName = "DIR",
        Recursive = true,
        DefaultValueFactory = _ => new DirectoryInfo(DefaultDataDirectory),
    };

    /// <summary>Full path of the data folder used where none is named.</summary>
    public static string DefaultDataDirectory => Path.GetFullPath(Environment.GetEnvironmentVariable("DALLE_HOME") is { Length: > 0 } home
        ? home
        : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".dalle"));

    public static Option<bool> Json { get; } = new("--json") { Description = "Write JSON to standard output, everything else to standard error.", Recursive = true };

    public static Option<bool> Verbose { get; } = new("--verbose") { Description = "Log the silo's work to standard error; show where an error came from.", Recursive = true };
}
