namespace Dalle.Collectives.Transport;

/// <summary>Which message: the same on the side that sends it and on the side that receives it.</summary>
/// <param name="Epoch">The job's membership epoch.</param>
/// <param name="Step">The job's step, or any number that counts up.</param>
/// <param name="Tag">The operation and the array it is about.</param>
/// <param name="Part">The piece of the operation.</param>
/// <param name="From">The number, within the job, of the member that is sent for.</param>
/// <param name="To">The number, within the job, of a member that the receiving process hosts: always the same one.</param>
public readonly record struct MessageKey(int Epoch, long Step, int Tag, int Part, ushort From, ushort To)
{
    public override string ToString() => $"epoch {Epoch}, step {Step}, tag {Tag}, part {Part}, member {From} to {To}";
}
