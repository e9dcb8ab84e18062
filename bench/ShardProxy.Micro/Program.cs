using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Diagnosers;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.Emit;
using ShardProxy.Micro;
using ShardProxy.Micro.Checking;
using ShardProxy.Wire.Transport;

// dotnet run -c Release --project bench/ShardProxy.Micro -- --filter '*KeyHash*'   measures (BenchmarkDotNet's own options)
// dotnet run -c Release --project bench/ShardProxy.Micro -- --check ['*KeyHash*']  runs each briefly, fails if it allocates otherwise than expected
// … -- --relay LISTEN-PORT SERVER-PORT epoll|kestrel [LOOPS]                            a bare relay over a transport, to be measured with pgbench
if (args is ["--relay", _, _, _, ..])
{
    SocketTransport.EnableInlineCompletions();
    return await BareRelay.RunAsync(args);
}

if (args is ["--check", ..])
{
    return AllocationCheck.Run(typeof(Program).Assembly, args.Length > 1 ? args[1] : "*", Console.Out) ? 0 : 1;
}

// In this process: the runtime settings are the product's own, and nothing is built a second time.
var config = ManualConfig.Create(DefaultConfig.Instance)
    .AddJob(Job.ShortRun.WithToolchain(InProcessEmitToolchain.Instance))
    .AddDiagnoser(MemoryDiagnoser.Default);
BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(args, config);
return 0;
