using Dalle.Cli.Hosting;

using var signals = new TerminationSignals();
return await Invocation.Run(args, Console.Out, Console.Error, signals.Token);
