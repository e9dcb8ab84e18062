using ShardProxy.Model.Routing;

namespace ShardProxy.Admin.Views;

/// <summary>The words for a range's state in <c>SHOW RANGES</c>.</summary>
internal static class RangeStates
{
    public static string Word(RangeMove? move) => move?.Phase switch
    {
        null => "active",
        MovePhase.Ghosts => "moving",
        MovePhase.Reversible => "reversible",
        MovePhase.Holding or MovePhase.Releasing => "held",
        _ => throw new ArgumentOutOfRangeException(nameof(move)),
    };
}
