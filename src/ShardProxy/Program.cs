using ShardProxy.Cli;
using ShardProxy.Composition;
using ShardProxy.Demo;
using ShardProxy.Wire.Transport;

// Before anything else: the setting counts only until the first socket of the process exists.
ProxyTransport.PrepareProcess();
using var signals = new ShutdownSignals(isDaemon: args is ["serve", ..]);
return await CommandLine.RunAsync(
    [DemoVerb.Create(ProxyComposition.Compose), DevCommand.Create(ProxyComposition.Compose), ServeCommand.Create(ProxyComposition.Compose, signals.AtOnce), CheckConfigCommand.Create()],
    args,
    Console.Out,
    Console.Error,
    signals.Token);
