using ShardProxy.Stress.Tests.Faults;
using ShardProxy.Stress.Tests.Host;

return args switch
{
    ["host", .. var rest] => await ProxyHostProgram.RunAsync(rest),
    ["cancels", .. var rest] => await CancelProgram.RunAsync(rest),
    ["faults", .. var rest] => await FaultCommand.RunAsync(rest),
    _ => Usage(),
};

static int Usage()
{
    Console.Error.WriteLine(FaultCommand.Usage);
    return 2;
}
