namespace ShardProxy.Admin.Backend;

/// <summary>A node's health as this proxy sees it.</summary>
public enum NodeState
{
    Unknown,
    Up,
    Down,
    Draining,
}
