using System.Collections.Concurrent;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Dalle.Silo.Tests.Http;

/// <summary>Keeps every line that is logged, however small.</summary>
internal sealed class RecordingLog : ILoggerProvider, ILogger
{
    private readonly ConcurrentQueue<string> _lines = new();

    public IEnumerable<string> Lines => _lines;

    /// <summary>Has a silo log here.</summary>
    public void Record(IServiceCollection services) => services.AddSingleton<ILoggerProvider>(this).PostConfigure<LoggerFilterOptions>(filter =>
    {
        filter.MinLevel = LogLevel.Trace;
        filter.Rules.Clear();
    });

    public ILogger CreateLogger(string categoryName) => this;

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
        _lines.Enqueue($"{formatter(state, exception)} {exception}");

    public void Dispose()
    {
    }
}
