// Prints the ARN of the identity that the AWS SDK for JavaScript finds, before and after each line of the standard input: a new
// client each time.
import { createInterface } from "node:readline";
import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";

const identity = async () => (await new STSClient({}).send(new GetCallerIdentityCommand({}))).Arn;

console.log(await identity());
for await (const _ of createInterface({ input: process.stdin })) console.log(await identity());
